import http.client, os, sys, time, urllib.request
if not {"API", "TOKEN"} <= os.environ.keys():
    sys.exit("set API to the address that ends in /api/v1, and TOKEN to an access token")
event, last, bearer = "", "", "Bearer " + os.environ["TOKEN"]
while True:  # until 401: the login has ended, or the token, without which no stream is opened again
    request = urllib.request.Request(os.environ["API"] + "/events", headers={"Authorization": bearer, "Last-Event-ID": last})
    try:
        with urllib.request.urlopen(request, timeout=60) as stream:
            for field, _, value in (line.decode().rstrip().partition(": ") for line in stream):
                if field == "event":
                    event = value
                elif field == "data" and event == "gap":
                    print("not kept any more, read anew:", value, file=sys.stderr)
                elif field == "data":
                    print(value, flush=True)
                elif field == "id":
                    last = value
    except (OSError, http.client.HTTPException) as error:  # refused, broken off, 429, 503
        if isinstance(error, BrokenPipeError) or getattr(error, "code", None) == 401:
            sys.exit(f"ended: {error}")
        print("again after:", error, file=sys.stderr)
    time.sleep(1)
