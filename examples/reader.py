import os, time, urllib.request
last, bearer = "", "Bearer " + os.environ["TOKEN"]
while True:  # until the log-in ends: then an HTTPError of 401
    request = urllib.request.Request(os.environ["API"] + "/events", headers={"Authorization": bearer, "Last-Event-ID": last})
    with urllib.request.urlopen(request, timeout=60) as stream:
        for line in map(bytes.decode, stream):
            if line.startswith("data: "):
                print(line[6:], end="", flush=True)
            elif line.startswith("id: "):
                last = line[4:].strip()
    time.sleep(1)
