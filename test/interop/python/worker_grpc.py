"""A worker that speaks gRPC: python worker_grpc.py localhost:8099"""
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Value

from actions import Failed, actions, definitions
from orchy.v1 import worker_pb2 as orchy
from orchy.v1.worker_pb2_grpc import WorkerServiceStub

service = WorkerServiceStub(grpc.insecure_channel(sys.argv[1]))
pool = ThreadPoolExecutor(20)
stopping = threading.Event()


def run(task):
    """The result of a task, or None when it was interrupted."""
    print(f"{task.action}, attempt {task.attempt}", flush=True)
    interrupted, ended = threading.Event(), threading.Event()
    result = orchy.TaskResult(token=task.token)
    pool.submit(beat, task, interrupted, ended)
    try:
        output = actions[task.action](MessageToDict(task.parameters), interrupted)
        result.output.CopyFrom(ParseDict(output, Value()))
    except Failed as error:
        result.failure.code, result.failure.retryable = error.code, error.retryable
        result.failure.message = str(error)
    except Exception as error:
        result.failure.message = repr(error)
    ended.set()
    if not interrupted.is_set():
        return result
    service.Release(orchy.ReleaseRequest(tokens=[task.token]))  # Of no effect on one cancelled.


def beat(task, interrupted, ended):
    """Tells that the task is alive; interrupts it when nobody needs it, or this worker stops."""
    request = orchy.HeartbeatRequest(tasks=[orchy.HeartbeatItem(token=task.token)])
    due = time.monotonic() + task.heartbeat_ms / 3000
    while not ended.wait(0.1):
        if stopping.is_set():
            interrupted.set()
        elif time.monotonic() >= due:
            due += task.heartbeat_ms / 3000
            try:
                [status] = service.Heartbeat(request).statuses
            except grpc.RpcError:
                continue
            if status != orchy.HEARTBEAT_STATUS_EXTENDED:
                interrupted.set()


def work():
    rules = [ParseDict(definition, orchy.ActionDefinition()) for definition in definitions]
    poll = dict(actions=list(actions), max_tasks=10, wait_seconds=20, worker_id="python-grpc")
    registered, results = False, []
    while not stopping.is_set():
        try:
            if not registered:
                service.RegisterActions(orchy.RegisterActionsRequest(actions=rules))
                registered = True
            answering = service.Poll.future(orchy.PollRequest(results=results, heartbeats=True, **poll))
            on_stop.append(answering.cancel)
            if stopping.is_set():
                answering.cancel()
            tasks = answering.result().tasks
        except (grpc.RpcError, grpc.FutureCancelledError) as error:
            if not stopping.is_set():
                print(error, file=sys.stderr)
            stopping.wait(0.5)  # The results are still here; sent twice, they count once.
            continue
        finally:
            on_stop.clear()
        results = [result for result in pool.map(run, tasks) if result]
    service.Complete(orchy.CompleteRequest(results=results), timeout=5)


on_stop = []
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stopping.set())
working = threading.Thread(target=work)
working.start()
stopping.wait()
for cancel in list(on_stop):
    cancel()
working.join()
pool.shutdown()
