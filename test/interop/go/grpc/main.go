// A worker that speaks gRPC: go run ./grpc localhost:8099
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	orchyv1 "orchy.example/workers/gen/orchy/v1"
	"orchy.example/workers/worker"
)

func main() {
	stop, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	worker.Run(stop, client{orchyv1.NewWorkerServiceClient(connection)}, "go-grpc")
}

// client leaves out the options that methods of grpc-go take.
type client struct{ stub orchyv1.WorkerServiceClient }

func (c client) RegisterActions(ctx context.Context, request *orchyv1.RegisterActionsRequest) (*orchyv1.RegisterActionsResponse, error) {
	return c.stub.RegisterActions(ctx, request)
}

func (c client) Poll(ctx context.Context, request *orchyv1.PollRequest) (*orchyv1.PollResponse, error) {
	return c.stub.Poll(ctx, request)
}

func (c client) Complete(ctx context.Context, request *orchyv1.CompleteRequest) (*orchyv1.CompleteResponse, error) {
	return c.stub.Complete(ctx, request)
}

func (c client) Heartbeat(ctx context.Context, request *orchyv1.HeartbeatRequest) (*orchyv1.HeartbeatResponse, error) {
	return c.stub.Heartbeat(ctx, request)
}

func (c client) Release(ctx context.Context, request *orchyv1.ReleaseRequest) (*orchyv1.ReleaseResponse, error) {
	return c.stub.Release(ctx, request)
}
