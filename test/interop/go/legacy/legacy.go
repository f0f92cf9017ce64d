// Package legacy is a worker as those that speak the legacy wire are: it asks for the servers,
// keeps a connection to each, polls each in turn on a ticker, and pushes results.
package legacy

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

const (
	tick    = 100 * time.Millisecond
	refresh = time.Second
	batch   = 10
)

// Definition tells the rules of an action.
type Definition struct {
	Name                          string
	RetryCount, RetryAfterSeconds int32
	RetryPolicy                   string
	TimeoutSeconds                int32
}

// Task is what a poll answers.
type Task struct {
	Workflow, Flow, Name string
	ActionID, RetryCount int32
	Data                 map[string]*structpb.Value
}

// Result is what a push carries. It has no name, as these clients leave it empty on success.
type Result struct {
	Task
	Failed bool
}

// Service is one of the two services, under names that both share.
type Service interface {
	Save(context.Context, Definition) error
	Poll(ctx context.Context, name string, batch int32) ([]Task, error)
	Push(context.Context, Result) (bool, error)
	Servers(context.Context) ([]string, error)
}

// Dial makes the service of a connection.
type Dial func(*grpc.ClientConn) Service

type worker struct {
	dial  Dial
	names []string
	lock  sync.Mutex
}

// Run works until the context ends. Each push is told on standard output.
func Run(stop context.Context, address string, dial Dial) {
	first := connect(address)
	defer first.Close()
	service := dial(first)
	w := &worker{dial: dial}
	for _, definition := range definitions {
		w.names = append(w.names, definition.Name)
		if err := service.Save(stop, definition); err != nil {
			log.Fatal(err)
		}
	}
	leave := map[string]func(){}
	for stop.Err() == nil {
		addresses, err := service.Servers(stop)
		if err == nil {
			w.follow(stop, addresses, leave)
		}
		pause(stop, refresh)
	}
}

// follow joins the servers that are new, and leaves those that are gone.
func (w *worker) follow(stop context.Context, addresses []string, leave map[string]func()) {
	live := map[string]bool{}
	for _, address := range addresses {
		live[address] = true
		if leave[address] == nil {
			ctx, cancel := context.WithCancel(stop)
			leave[address] = cancel
			go w.serve(ctx, address)
			w.say(map[string]any{"joined": address})
		}
	}
	for address, cancel := range leave {
		if !live[address] {
			cancel()
			delete(leave, address)
			w.say(map[string]any{"left": address})
		}
	}
}

func (w *worker) serve(ctx context.Context, address string) {
	connection := connect(address)
	defer connection.Close()
	service := w.dial(connection)
	for ctx.Err() == nil {
		for _, name := range w.names {
			tasks, err := service.Poll(ctx, name, batch)
			if err != nil && status.Code(err) != codes.NotFound && ctx.Err() == nil {
				log.Print(err)
			}
			for _, task := range tasks {
				go w.run(ctx, service, task)
			}
		}
		pause(ctx, tick)
	}
}

func (w *worker) run(ctx context.Context, service Service, task Task) {
	output, failed, pushes := act(ctx, task)
	result := Result{Task: task, Failed: failed}
	result.Data = output
	for range pushes {
		accepted, err := service.Push(ctx, result)
		if err != nil {
			log.Print(err)
			return
		}
		w.say(map[string]any{"action": task.Name, "retryCount": task.RetryCount, "accepted": accepted})
	}
}

func (w *worker) say(line map[string]any) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		log.Fatal(err)
	}
}

func connect(address string) *grpc.ClientConn {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	return connection
}

func pause(ctx context.Context, duration time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(duration):
	}
}
