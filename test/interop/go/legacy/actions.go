package legacy

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
)

var definitions = []Definition{
	{Name: "add-params-action"},
	{Name: "log-action"},
	{Name: "fails-fixed", RetryCount: 2, RetryAfterSeconds: 1, RetryPolicy: "FIXED"},
	{Name: "fails-backoff", RetryCount: 2, RetryAfterSeconds: 1, RetryPolicy: "BACKOFF"},
	{Name: "late-once", RetryCount: 1, RetryAfterSeconds: 0, RetryPolicy: "FIXED", TimeoutSeconds: 1},
	{Name: "pushed-thrice"},
}

// act does the work of a task, and says how often its result is pushed.
func act(ctx context.Context, task Task) (output map[string]*structpb.Value, failed bool, pushes int) {
	switch task.Name {
	case "fails-fixed", "fails-backoff":
		return map[string]*structpb.Value{"error": structpb.NewStringValue("no stock")}, true, 1
	case "late-once":
		if task.RetryCount == 1 {
			pause(ctx, 1500*time.Millisecond)
		}
	case "pushed-thrice":
		return task.Data, false, 3
	}
	return task.Data, false, 1
}
