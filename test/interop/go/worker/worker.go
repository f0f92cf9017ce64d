// Package worker runs actions for an Orchy server, whichever library carries its calls.
package worker

import (
	"context"
	"fmt"
	"log"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	orchyv1 "orchy.example/workers/gen/orchy/v1"
)

// Client is what the generated clients of every library are, or are made with a few lines.
type Client interface {
	RegisterActions(context.Context, *orchyv1.RegisterActionsRequest) (*orchyv1.RegisterActionsResponse, error)
	Poll(context.Context, *orchyv1.PollRequest) (*orchyv1.PollResponse, error)
	Complete(context.Context, *orchyv1.CompleteRequest) (*orchyv1.CompleteResponse, error)
	Heartbeat(context.Context, *orchyv1.HeartbeatRequest) (*orchyv1.HeartbeatResponse, error)
	Release(context.Context, *orchyv1.ReleaseRequest) (*orchyv1.ReleaseResponse, error)
}

// Run works until the context ends: then it hands in what is finished, and gives back what is not.
func Run(stop context.Context, client Client, id string) {
	var names []string
	for _, definition := range Definitions {
		names = append(names, definition.Name)
	}
	registered := false
	var results []*orchyv1.TaskResult
	for stop.Err() == nil {
		var err error
		if !registered {
			_, err = client.RegisterActions(stop, &orchyv1.RegisterActionsRequest{Actions: Definitions, WorkerId: id})
			registered = err == nil
		}
		var answer *orchyv1.PollResponse
		if err == nil {
			answer, err = client.Poll(stop, &orchyv1.PollRequest{
				Actions: names, MaxTasks: 10, WaitSeconds: 20, WorkerId: id, Heartbeats: true, Results: results,
			})
		}
		if err != nil { // The results are still here; sent twice, they count once.
			log.Print(err)
			select {
			case <-time.After(500 * time.Millisecond):
			case <-stop.Done():
			}
			continue
		}
		results = runTasks(stop, client, answer.Tasks)
	}
	last, done := context.WithTimeout(context.Background(), 5*time.Second)
	defer done()
	if _, err := client.Complete(last, &orchyv1.CompleteRequest{Results: results, WorkerId: id}); err != nil {
		log.Print(err)
	}
}

// runTasks runs a batch side by side, and answers the results of those that were not interrupted.
func runTasks(stop context.Context, client Client, tasks []*orchyv1.Task) []*orchyv1.TaskResult {
	var results []*orchyv1.TaskResult
	var interrupted []string
	var lock sync.Mutex
	var group sync.WaitGroup
	for _, task := range tasks {
		group.Go(func() {
			ctx, cancel := context.WithCancel(stop)
			defer cancel()
			go beat(ctx, cancel, client, task)
			fmt.Printf("%s, attempt %d\n", task.Action, task.Attempt)
			output, failure := actions[task.Action](ctx, task.Parameters.AsMap())
			result := &orchyv1.TaskResult{Token: task.Token, Failure: failure}
			if failure == nil {
				result.Output, _ = structpb.NewValue(output)
			}
			lock.Lock()
			defer lock.Unlock()
			if ctx.Err() != nil {
				interrupted = append(interrupted, task.Token)
			} else {
				results = append(results, result)
			}
		})
	}
	group.Wait()
	if len(interrupted) > 0 { // Of no effect on those that were cancelled.
		ctx, done := context.WithTimeout(context.Background(), 5*time.Second)
		defer done()
		if _, err := client.Release(ctx, &orchyv1.ReleaseRequest{Tokens: interrupted}); err != nil {
			log.Print(err)
		}
	}
	return results
}

// beat tells the server that the task is alive, and interrupts it when nobody needs it any more.
func beat(ctx context.Context, cancel func(), client Client, task *orchyv1.Task) {
	ticker := time.NewTicker(time.Duration(task.HeartbeatMs/3) * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		item := &orchyv1.HeartbeatItem{Token: task.Token}
		answer, err := client.Heartbeat(ctx, &orchyv1.HeartbeatRequest{Tasks: []*orchyv1.HeartbeatItem{item}})
		if err == nil && answer.Statuses[0] != orchyv1.HeartbeatStatus_HEARTBEAT_STATUS_EXTENDED {
			cancel()
		}
	}
}
