"""Calls over grpcio."""
import grpc
from google.protobuf.json_format import MessageToDict, ParseDict

from orchy.v1 import worker_pb2 as orchy
from orchy.v1.worker_pb2_grpc import WorkerServiceStub


def read(path):
    with open(path, "rb") as file:
        return file.read()


def connect(address, authority, own):
    pings = [("grpc.keepalive_time_ms", 10_000), ("grpc.keepalive_timeout_ms", 2_000)]
    if authority is None:
        channel = grpc.insecure_channel(address, pings)
    else:
        certificate, key = own or (None, None)
        trust = grpc.ssl_channel_credentials(
            read(authority), key and read(key), certificate and read(certificate)
        )
        channel = grpc.secure_channel(address, trust, pings)
    service = WorkerServiceStub(channel)

    def call(method, request, timeout_ms, gzip, answer):
        message = ParseDict(request, getattr(orchy, f"{method}Request")())
        answering = getattr(service, method).future(
            message,
            timeout=timeout_ms and timeout_ms / 1000,
            compression=grpc.Compression.Gzip if gzip else None,
        )

        def done(_):
            if answering.code() is grpc.StatusCode.OK:
                answer(MessageToDict(answering.result()), None)
            else:
                answer(None, (answering.code().name, answering.details()))

        answering.add_done_callback(done)

    return call
