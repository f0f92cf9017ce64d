"""Talks to a server through the client that is made of /openapi.json: python openapi_client.py URL"""
import json
import sys

from orchy_client import Client
from orchy_client.api.executions import (
    get_execution,
    get_execution_result,
    list_executions,
    start_execution,
)
from orchy_client.api.workers import complete_tasks, poll_tasks
from orchy_client.api.workflows import save_workflow
from orchy_client.models import (
    DefinedAction,
    Definition,
    Start,
    Status,
    WorkerCompleteRequest,
    WorkerPollRequest,
    WorkerTaskResult,
)

client = Client(base_url=sys.argv[1])
name = "python-client"

action = DefinedAction(id="a", type_="user", name=name)
definition = Definition(name=name, root_action="a", actions=[action])
saved = save_workflow.sync(client=client, body=definition)
assert saved.created and saved.version == 1, saved

start = Start(workflow=name, input_={"order": 7}, correlation_id="c-1")
started = start_execution.sync(client=client, body=start, idempotency_key=name)
assert started.created, started

poll = WorkerPollRequest(actions=[name], max_tasks=5, wait_seconds=20, worker_id=name)
task = poll_tasks.sync(client=client, body=poll).tasks[0]
result = WorkerTaskResult(token=task.token, output={"attempt": task.attempt})
completed = complete_tasks.sync(client=client, body=WorkerCompleteRequest(results=[result]))

read = get_execution_result.sync(started.id, client=client, wait=20)
page = list_executions.sync(client=client, workflow=name, status=Status.COMPLETED)
absent = get_execution.sync("absent", client=client)

said = {
    "accepted": completed.results[0].status,
    "result": read.result,
    "listed": [one.id == started.id for one in page.items],
    "refused": absent.error.code,
}
print(json.dumps(said))
