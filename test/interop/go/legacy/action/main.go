// The legacy worker over ActionService: go run ./legacy/action localhost:8099
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	wire "orchy.example/workers/gen/legacy/action"
	"orchy.example/workers/legacy"
)

func main() {
	stop, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	legacy.Run(stop, os.Args[1], func(connection *grpc.ClientConn) legacy.Service {
		return service{wire.NewActionServiceClient(connection)}
	})
}

type service struct{ client wire.ActionServiceClient }

func (s service) Save(ctx context.Context, d legacy.Definition) error {
	_, err := s.client.SaveActionDefinition(ctx, &wire.ActionDefinition{
		Name: d.Name, RetryCount: d.RetryCount, RetryAfterSeconds: d.RetryAfterSeconds,
		RetryPolicy: d.RetryPolicy, TimeoutSeconds: d.TimeoutSeconds,
	})
	return err
}

func (s service) Poll(ctx context.Context, name string, batch int32) ([]legacy.Task, error) {
	answer, err := s.client.Poll(ctx, &wire.PollRequest{ActionType: name, BatchSize: batch})
	var tasks []legacy.Task
	for _, task := range answer.GetActions() {
		tasks = append(tasks, legacy.Task{
			Workflow: task.WorkflowName, Flow: task.FlowId, Name: task.ActionName,
			ActionID: task.ActionId, RetryCount: task.RetryCount, Data: task.Data,
		})
	}
	return tasks, err
}

func (s service) Push(ctx context.Context, result legacy.Result) (bool, error) {
	outcome := wire.ActionResult_SUCCESS
	if result.Failed {
		outcome = wire.ActionResult_FAIL
	}
	answer, err := s.client.Push(ctx, &wire.ActionResult{
		WorkflowName: result.Workflow, FlowId: result.Flow, ActionId: result.ActionID,
		RetryCount: result.RetryCount, Data: result.Data, Status: outcome,
	})
	return answer.GetStatus(), err
}

func (s service) Servers(ctx context.Context) ([]string, error) {
	answer, err := s.client.GetServers(ctx, &wire.Empty{})
	var addresses []string
	for _, server := range answer.GetServers() {
		addresses = append(addresses, server.RpcAddr)
	}
	return addresses, err
}
