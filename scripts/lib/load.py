"""Asks blackbox_exporter for probes at a fixed rate: load.py HOST:PORT TARGET RATE SECONDS.

The number of requests is RATE x SECONDS, over 32 connections that are kept. Prints how many probes
succeeded; fails if any did not.
"""

import asyncio
import sys
import time
from urllib.parse import quote

CONNECTIONS = 32


async def worker(host, port, head, slots, start, rate):
    reader, writer = await asyncio.open_connection(host, port)
    good = 0
    for slot in slots:
        delay = start + slot / rate - time.monotonic()
        if delay > 0:
            await asyncio.sleep(delay)
        writer.write(head)
        answer = await reader.readuntil(b"\r\n\r\n")
        body = await read_body(reader, answer.lower())
        good += answer.startswith(b"HTTP/1.1 200") and b"\nprobe_success 1" in body
    writer.close()
    return good


async def read_body(reader, head):
    if b"transfer-encoding: chunked" not in head:
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        return await reader.readexactly(length)
    body = b""
    while size := int((await reader.readline()).strip(), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


async def main():
    address, target, rate, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
    host, port = address.rsplit(":", 1)
    total = int(rate * seconds)
    path = f"/probe?target={quote(target, safe='')}&module=http_2xx"
    head = f"GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode()
    start = time.monotonic() + 0.1
    jobs = [worker(host, int(port), head, range(i, total, CONNECTIONS), start, rate) for i in range(CONNECTIONS)]
    good = sum(await asyncio.gather(*jobs))
    took = time.monotonic() - start
    if took > seconds * 1.05 + 0.5:
        sys.exit(f"too slow: {total} probes took {took:.1f} s instead of {seconds:.1f} s; lower the rate")
    if good != total:
        sys.exit(f"{total - good} of {total} probes failed")
    print(good)


asyncio.run(main())
