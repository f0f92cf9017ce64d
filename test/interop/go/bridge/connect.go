package main

import (
	"context"
	"crypto/tls"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"orchy.example/workers/gen/orchy/v1/orchyv1connect"
)

func connectCalls(protocol, address string, trust *tls.Config) (map[string]call, func(error) failure) {
	var options []connect.ClientOption
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(trust == nil)
	switch protocol {
	case "connect-json":
		options = append(options, connect.WithProtoJSON())
		protocols = new(http.Protocols)
		protocols.SetHTTP1(true)
	case "connect-grpc":
		options = append(options, connect.WithGRPC())
	case "grpc-web":
		options = append(options, connect.WithGRPCWeb())
	}
	scheme := "http://"
	if trust != nil {
		scheme = "https://"
	}
	pings := &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 2 * time.Second}
	transport := &http.Transport{Protocols: protocols, HTTP2: pings, TLSClientConfig: trust}
	client := &http.Client{Transport: transport}
	plain := orchyv1connect.NewWorkerServiceClient(client, scheme+address, options...)
	zipped := orchyv1connect.NewWorkerServiceClient(client, scheme+address, append(options, connect.WithSendGzip())...)
	calls := make(map[string]call)
	for method, do := range methods(plain) {
		doZipped := methods(zipped)[method]
		calls[method] = func(ctx context.Context, text []byte, gzip bool) ([]byte, error) {
			if gzip {
				return doZipped(ctx, text)
			}
			return do(ctx, text)
		}
	}
	return calls, func(err error) failure {
		return failure{connect.CodeOf(err).String(), err.Error()}
	}
}

func methods(client orchyv1connect.WorkerServiceClient) map[string]func(context.Context, []byte) ([]byte, error) {
	return map[string]func(context.Context, []byte) ([]byte, error){
		"RegisterActions": wrap(client.RegisterActions),
		"Poll":            wrap(client.Poll),
		"Complete":        wrap(client.Complete),
		"Heartbeat":       wrap(client.Heartbeat),
		"Release":         wrap(client.Release),
	}
}
