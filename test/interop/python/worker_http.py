"""A worker of the standard library alone: python worker_http.py http://localhost:8080"""
import json
import os
import signal
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from actions import Failed, actions, definitions

pool = ThreadPoolExecutor(20)
stopping = threading.Event()
working = threading.Lock()


def call(method, **body):
    url = f"{sys.argv[1]}/orchy.v1.WorkerService/{method}"
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=70) as response:
        return json.load(response)


def run(task):
    """The result of a task, or None when it was interrupted."""
    print(f"{task['action']}, attempt {task['attempt']}", flush=True)
    token, interrupted, ended = task["token"], threading.Event(), threading.Event()
    pool.submit(beat, token, int(task["heartbeatMs"]) / 3000, interrupted, ended)
    try:
        result = {"output": actions[task["action"]](task["parameters"], interrupted)}
    except Failed as error:
        failure = {"code": error.code, "message": str(error), "retryable": error.retryable}
        result = {"failure": failure}
    except Exception as error:
        result = {"failure": {"message": repr(error)}}
    ended.set()
    if not interrupted.is_set():
        return {"token": token, **result}
    call("Release", tokens=[token])  # Of no effect on one that was cancelled.


def beat(token, seconds, interrupted, ended):
    """Tells that the task is alive; interrupts it when nobody needs it, or this worker stops."""
    due = time.monotonic() + seconds
    while not ended.wait(0.1):
        if stopping.is_set():
            interrupted.set()
        elif time.monotonic() >= due:
            due += seconds
            try:
                [status] = call("Heartbeat", tasks=[{"token": token}])["statuses"]
            except OSError:
                continue
            if status != "HEARTBEAT_STATUS_EXTENDED":
                interrupted.set()


def work():
    global results
    registered = False
    poll = dict(actions=list(actions), maxTasks=10, waitSeconds=20, heartbeats=True)
    while not stopping.is_set():
        try:
            if not registered:
                call("RegisterActions", actions=definitions)
                registered = True
            answer = call("Poll", workerId="python-http", results=results, **poll)
        except OSError as error:
            print(error, file=sys.stderr)
            time.sleep(0.5)  # The results are still here; sent twice, they count once.
            continue
        with working:
            results = [result for result in pool.map(run, answer.get("tasks", [])) if result]


results = []
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stopping.set())
threading.Thread(target=work, daemon=True).start()
stopping.wait()
with working:  # The poll that waits is abandoned: the server gives its tasks to others.
    call("Complete", results=results)
os._exit(0)
