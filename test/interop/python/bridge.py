"""
Makes the calls that a test orders on standard input, a JSON object a line, over grpcio or plain
HTTP, and writes what came of each as a line on standard output.
"""
import argparse
import json
import sys
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("--protocol", choices=["grpc", "http"])
parser.add_argument("--address")
parser.add_argument("--ca")
parser.add_argument("--cert")
parser.add_argument("--key")
options = parser.parse_args()

if options.protocol == "grpc":
    from bridge_grpc import connect
else:
    from bridge_http import connect

own = None if options.cert is None else (options.cert, options.key)
call = connect(options.address, options.ca, own)
lock = threading.Lock()


def run(order):
    started = time.monotonic()

    def answer(response, error):
        done = {"id": order["id"], "ms": (time.monotonic() - started) * 1000}
        if error is None:
            done["response"] = response
        else:
            done["error"] = {"code": error[0], "message": error[1]}
        with lock:
            print(json.dumps(done), flush=True)

    timeout_ms = order.get("timeoutMs")
    call(order["method"], order["request"], timeout_ms, order.get("gzip", False), answer)


for line in sys.stdin:
    run(json.loads(line))
