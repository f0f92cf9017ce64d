"""The actions of the example workers, and their rules."""


class Failed(Exception):
    def __init__(self, code, message, retryable=True):
        super().__init__(message)
        self.code, self.retryable = code, retryable


def greet(parameters, interrupted):
    if "name" not in parameters:
        raise Failed("NO_NAME", "There is nobody to greet.")
    return f"Hello, {parameters['name']}!"


def charge(parameters, interrupted):
    if parameters["amount"] > 1000:
        raise Failed("CARD_DECLINED", "The card does not cover it.", retryable=False)
    return {"charged": parameters["amount"]}


def count(parameters, interrupted):
    interrupted.wait(parameters["seconds"])
    return parameters["seconds"]


actions = {"greet": greet, "charge": charge, "count": count}
definitions = [
    {"name": "greet", "retryCount": 1, "retryAfterSeconds": 0.1},
    {"name": "charge"},
    {"name": "count", "heartbeatSeconds": 2},
]
