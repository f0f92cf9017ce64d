package main

import (
	"context"
	"crypto/tls"
	"log"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	orchyv1 "orchy.example/workers/gen/orchy/v1"
)

func grpcCalls(address string, trust *tls.Config) (map[string]call, func(error) failure) {
	security := insecure.NewCredentials()
	if trust != nil {
		security = credentials.NewTLS(trust)
	}
	// 10 s is the shortest interval that the library sends pings in.
	pings := keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 2 * time.Second}
	connection, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(security), grpc.WithKeepaliveParams(pings))
	if err != nil {
		log.Fatal(err)
	}
	client := orchyv1.NewWorkerServiceClient(connection)
	calls := map[string]call{
		"RegisterActions": grpcCall(client.RegisterActions),
		"Poll":            grpcCall(client.Poll),
		"Complete":        grpcCall(client.Complete),
		"Heartbeat":       grpcCall(client.Heartbeat),
		"Release":         grpcCall(client.Release),
	}
	return calls, func(err error) failure {
		told := status.Convert(err)
		return failure{told.Code().String(), told.Message()}
	}
}

func grpcCall[Request, Response proto.Message](method func(context.Context, Request, ...grpc.CallOption) (Response, error)) call {
	return func(ctx context.Context, text []byte, gzip bool) ([]byte, error) {
		var options []grpc.CallOption
		if gzip {
			options = append(options, grpc.UseCompressor("gzip"))
		}
		return wrap(func(ctx context.Context, request Request) (Response, error) {
			return method(ctx, request, options...)
		})(ctx, text)
	}
}
