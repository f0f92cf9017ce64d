"""Does the tasks of an action that is delivered to a queue of SQS. QUEUE names the queue."""
import json, os, urllib.parse, urllib.request
import boto3

orchy = os.environ.get("ORCHY", "http://localhost:8080")
headers = {"content-type": "application/json"}
if "ORCHY_KEY" in os.environ:
    headers["authorization"] = "Bearer " + os.environ["ORCHY_KEY"]
sqs = boto3.client("sqs")
queue = sqs.get_queue_url(QueueName=os.environ["QUEUE"])["QueueUrl"]


def call(path, body):
    url = urllib.parse.urljoin(orchy, path)
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def charge(parameters):
    return {"charged": parameters["amount"]}


def handle(message):
    """Whether the message is done with: what is left comes again after its visibility timeout."""
    claim = call("/v1/tasks/claim", {"ticket": json.loads(message["Body"])["ticket"]})
    if claim["status"] != "claimed":
        return claim["status"] in ("done", "stale")
    try:
        result = {"output": charge(claim["task"]["parameters"])}
    except Exception as error:
        result = {"failure": {"code": "CHARGE_FAILED", "message": str(error)}}
    results = [{"token": claim["task"]["token"], **result}]
    answer = call("/orchy.v1.WorkerService/Complete", {"results": results})
    return answer["results"][0]["status"] != "RESULT_STATUS_RETRY"


while True:
    found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=20)
    for message in found.get("Messages", []):
        if handle(message):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
