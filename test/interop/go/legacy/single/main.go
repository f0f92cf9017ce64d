// The legacy worker before October 2022: go run ./legacy/single localhost:8099
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	wire "orchy.example/workers/gen/legacy/single"
	"orchy.example/workers/legacy"
)

func main() {
	stop, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	legacy.Run(stop, os.Args[1], func(connection *grpc.ClientConn) legacy.Service {
		return service{wire.NewTaskServiceClient(connection), connection.Target()}
	})
}

type service struct {
	client  wire.TaskServiceClient
	address string
}

func (s service) Save(ctx context.Context, d legacy.Definition) error {
	_, err := s.client.SaveTaskDef(ctx, &wire.TaskDef{
		Name: d.Name, RetryCount: d.RetryCount, RetryAfterSeconds: d.RetryAfterSeconds,
		RetryPolicy: d.RetryPolicy, TimeoutSeconds: d.TimeoutSeconds,
	})
	return err
}

// Poll has no batch: there is one task at most.
func (s service) Poll(ctx context.Context, name string, _ int32) ([]legacy.Task, error) {
	task, err := s.client.Poll(ctx, &wire.PollRequest{TaskType: name})
	if err != nil {
		return nil, err
	}
	return []legacy.Task{{
		Workflow: task.WorkflowName, Flow: task.FlowId, Name: task.TaskName,
		ActionID: task.ActionId, RetryCount: task.RetryCount, Data: task.Data,
	}}, nil
}

func (s service) Push(ctx context.Context, result legacy.Result) (bool, error) {
	outcome := wire.TaskResult_SUCCESS
	if result.Failed {
		outcome = wire.TaskResult_FAIL
	}
	answer, err := s.client.Push(ctx, &wire.TaskResult{
		WorkflowName: result.Workflow, FlowId: result.Flow, ActionId: result.ActionID,
		RetryCount: result.RetryCount, Data: result.Data, Status: outcome,
	})
	return answer.GetStatus(), err
}

// Servers is the one that the worker was given: there is no call that asks for others.
func (s service) Servers(context.Context) ([]string, error) {
	return []string{s.address}, nil
}
