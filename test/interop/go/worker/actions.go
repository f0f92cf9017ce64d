package worker

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	orchyv1 "orchy.example/workers/gen/orchy/v1"
)

type action func(ctx context.Context, parameters map[string]any) (any, *orchyv1.Failure)

// Definitions are the rules of the actions.
var Definitions = []*orchyv1.ActionDefinition{
	{Name: "greet", RetryCount: proto.Int32(1), RetryAfterSeconds: proto.Float64(0.1)},
	{Name: "charge"},
	{Name: "count", HeartbeatSeconds: proto.Float64(2)},
}

var actions = map[string]action{
	"greet": func(_ context.Context, parameters map[string]any) (any, *orchyv1.Failure) {
		name, ok := parameters["name"].(string)
		if !ok {
			return nil, &orchyv1.Failure{Code: "NO_NAME", Message: "There is nobody to greet."}
		}
		return fmt.Sprintf("Hello, %s!", name), nil
	},
	"charge": func(_ context.Context, parameters map[string]any) (any, *orchyv1.Failure) {
		amount, _ := parameters["amount"].(float64)
		if amount > 1000 {
			return nil, &orchyv1.Failure{
				Code: "CARD_DECLINED", Message: "The card does not cover it.", Retryable: proto.Bool(false),
			}
		}
		return map[string]any{"charged": amount}, nil
	},
	"count": func(ctx context.Context, parameters map[string]any) (any, *orchyv1.Failure) {
		seconds, _ := parameters["seconds"].(float64)
		select {
		case <-ctx.Done(): // Cancelled, or this worker stops.
		case <-time.After(time.Duration(seconds * float64(time.Second))):
		}
		return seconds, nil
	},
}
