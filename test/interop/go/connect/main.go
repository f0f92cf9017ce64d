// A worker that speaks Connect: go run ./connect http://localhost:8080
package main

import (
	"context"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"orchy.example/workers/gen/orchy/v1/orchyv1connect"
	"orchy.example/workers/worker"
)

func main() {
	stop, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	worker.Run(stop, orchyv1connect.NewWorkerServiceClient(client, os.Args[1]), "go-connect")
}
