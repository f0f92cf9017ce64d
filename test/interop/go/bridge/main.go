// Bridge makes the calls that a test orders on standard input, a JSON object each, through a client
// library, and writes what came of each as a line on standard output.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log"
	"os"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

type order struct {
	ID        int             `json:"id"`
	Method    string          `json:"method"`
	Request   json.RawMessage `json:"request"`
	TimeoutMs int             `json:"timeoutMs"`
	Gzip      bool            `json:"gzip"`
}

type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type answer struct {
	ID       int             `json:"id"`
	Ms       float64         `json:"ms"`
	Response json.RawMessage `json:"response,omitempty"`
	Error    *failure        `json:"error,omitempty"`
}

// call makes one call; what is wrong is told by its code and message.
type call func(ctx context.Context, request []byte, gzip bool) ([]byte, error)

func main() {
	protocol := flag.String("protocol", "grpc", "grpc, connect, connect-json, connect-grpc or grpc-web")
	address := flag.String("address", "", "host:port")
	authority := flag.String("ca", "", "file of the certificate to trust; none: no TLS")
	certificate := flag.String("cert", "", "file of the client's own certificate")
	key := flag.String("key", "", "file of its key")
	flag.Parse()
	trust := trusted(*authority, *certificate, *key)
	var calls map[string]call
	var explain func(error) failure
	if *protocol == "grpc" {
		calls, explain = grpcCalls(*address, trust)
	} else {
		calls, explain = connectCalls(*protocol, *address, trust)
	}
	orders := json.NewDecoder(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	var lock sync.Mutex
	for {
		var next order
		if err := orders.Decode(&next); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		go func() {
			answer := run(next, calls[next.Method], explain)
			lock.Lock()
			defer lock.Unlock()
			if err := answers.Encode(answer); err != nil {
				log.Fatal(err)
			}
		}()
	}
}

func run(order order, call call, explain func(error) failure) answer {
	ctx := context.Background()
	if order.TimeoutMs > 0 {
		timed, cancel := context.WithTimeout(ctx, time.Duration(order.TimeoutMs)*time.Millisecond)
		defer cancel()
		ctx = timed
	}
	started := time.Now()
	response, err := call(ctx, order.Request, order.Gzip)
	done := answer{ID: order.ID, Ms: float64(time.Since(started).Microseconds()) / 1000, Response: response}
	if err != nil {
		explained := explain(err)
		done.Error = &explained
	}
	return done
}

// wrap translates between JSON and the messages of a generated method.
func wrap[Request, Response proto.Message](do func(context.Context, Request) (Response, error)) func(context.Context, []byte) ([]byte, error) {
	return func(ctx context.Context, text []byte) ([]byte, error) {
		var none Request
		request := none.ProtoReflect().New().Interface().(Request)
		if err := protojson.Unmarshal(text, request); err != nil {
			return nil, err
		}
		response, err := do(ctx, request)
		if err != nil {
			return nil, err
		}
		return protojson.Marshal(response)
	}
}

func trusted(file, certificate, key string) *tls.Config {
	if file == "" {
		return nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	config := &tls.Config{RootCAs: pool}
	if certificate != "" {
		own, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			log.Fatal(err)
		}
		config.Certificates = []tls.Certificate{own}
	}
	return config
}
