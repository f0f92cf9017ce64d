"""Calls as plain JSON over HTTP/1.1, with the standard library."""
import gzip as zip
import json
import ssl
import threading
import urllib.error
import urllib.request


def connect(address, authority, own):
    trust = None if authority is None else ssl.create_default_context(cafile=authority)
    if own is not None:
        trust.load_cert_chain(*own)
    base = f"{'http' if authority is None else 'https'}://{address}/orchy.v1.WorkerService/"

    def send(method, body, timeout_ms, gzip):
        headers = {"content-type": "application/json"}
        if gzip:
            body, headers["content-encoding"] = zip.compress(body), "gzip"
        if timeout_ms is not None:
            headers["connect-timeout-ms"] = str(timeout_ms)
        request = urllib.request.Request(base + method, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=90, context=trust) as response:
                return json.load(response), None
        except urllib.error.HTTPError as error:
            text = error.read()
            try:
                told = json.loads(text)
                return None, (told["code"], told["message"])
            except (ValueError, KeyError):
                return None, (f"http_{error.code}", text.decode(errors="replace"))
        except OSError as error:
            return None, ("unavailable", str(error))

    def call(method, request, timeout_ms, gzip, answer):
        body = json.dumps(request).encode()
        work = lambda: answer(*send(method, body, timeout_ms, gzip))
        threading.Thread(target=work, daemon=True).start()

    return call
