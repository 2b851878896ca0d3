# SPDX-License-Identifier: MIT
"""TCP on the addresses of servers: one thread carries the bytes of all connections to the boxes."""
import selectors
import socket
import threading

PIECE = 1 << 16
BACKLOG_MAX = 1 << 18     # bytes that wait for a slow reader
CONNECTIONS_MAX = 500


class Way:
    """One direction: what came from `source` and is not yet sent to `sink`."""

    def __init__(self, source, sink):
        self.source, self.sink, self.data = source, sink, bytearray()
        self.ended = self.told = False


class Forwarder:
    def __init__(self):
        self.lock = threading.Lock()
        self.wanted = {}         # (address, port) -> target: box port, None: say a banner, "mute": say nothing
        self.listeners = {}      # (address, port) -> listening socket
        self.ways = {}           # socket -> (incoming way, outgoing way)
        self.of = {}             # socket -> (address, port) of its listener
        self.accepted = 0
        self.selector = selectors.DefaultSelector()
        self.wake_in, self.wake_out = socket.socketpair()
        self.wake_in.setblocking(False)
        self.selector.register(self.wake_in, selectors.EVENT_READ)
        self.running = True
        self.thread = threading.Thread(target=self.run, name="forwarder", daemon=True)
        self.thread.start()

    def set(self, owner, addresses, port, target):
        """Makes `addresses` the ones on which the server `owner` answers."""
        with self.lock:
            for key, (who, _) in list(self.wanted.items()):
                if who == owner and key[0] not in addresses:
                    del self.wanted[key]
            for address in addresses:
                self.wanted[address, port] = (owner, target)
        self.wake_out.send(b"x")

    def listening(self):
        with self.lock:
            return sorted(self.listeners)

    def stop(self):
        self.running = False
        self.wake_out.send(b"x")
        self.thread.join(5)

    def run(self):
        while self.running:
            for key, events in self.selector.select():
                if key.fileobj is self.wake_in:
                    self.wake_in.recv(4096)
                    self.adjust()
                elif key.data is not None:
                    self.accept(key.fileobj, key.data)
                elif key.fileobj in self.ways:
                    self.carry(key.fileobj, events)
        for sock in list(self.ways) + list(self.listeners.values()):
            sock.close()

    def adjust(self):
        with self.lock:
            wanted = dict(self.wanted)
            for key in [k for k in self.listeners if k not in wanted]:
                self.selector.unregister(self.listeners[key])
                self.listeners.pop(key).close()
                for sock in [s for s, of in self.of.items() if of == key]:
                    self.drop(sock)
            for key in [k for k in wanted if k not in self.listeners]:
                sock = socket.socket()
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    sock.bind(key)
                    sock.listen(64)
                except OSError as e:
                    sock.close()
                    del self.wanted[key]
                    print(f"fake cloud: {key[0]} port {key[1]}: {e}", flush=True)
                    continue
                sock.setblocking(False)
                self.listeners[key] = sock
                self.selector.register(sock, selectors.EVENT_READ, key)

    def accept(self, listener, key):
        try:
            client, _ = listener.accept()
        except OSError:
            return
        self.accepted += 1
        with self.lock:
            _, target = self.wanted.get(key, (None, "mute"))
        if len(self.ways) >= CONNECTIONS_MAX:
            client.close()
            return
        client.setblocking(False)
        if isinstance(target, int):
            server = socket.socket()
            try:
                server.connect(("127.0.0.1", target))
            except OSError:
                server.close()
                client.close()
                return
            server.setblocking(False)
        else:
            # Nobody is behind it: what comes in is swallowed.
            server = None
            if target is None:
                client.send(b"SSH-2.0-fake\r\n")
        for sock in filter(None, (client, server)):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.of[sock] = key
            self.selector.register(sock, selectors.EVENT_READ)
        self.ways[client] = (Way(client, server), server and Way(server, client))
        if server:
            self.ways[server] = self.ways[client][::-1]

    def drop(self, sock):
        """Ends a connection: both sides."""
        if sock not in self.ways:
            return
        out, back = self.ways[sock]
        for one in (out.source, back and back.source):
            if one is not None and self.ways.pop(one, None):
                self.of.pop(one, None)
                if one in self.selector.get_map():
                    self.selector.unregister(one)
                one.close()

    def carry(self, sock, events):
        out, back = self.ways[sock]
        try:
            if events & selectors.EVENT_READ and not out.ended:
                data = sock.recv(PIECE)
                out.ended = not data
                if out.sink is not None:
                    out.data += data
                    self.push(out)
                elif out.ended:
                    return self.drop(sock)
            if events & selectors.EVENT_WRITE and back:
                self.push(back)
        except BlockingIOError:
            pass
        except OSError:
            return self.drop(sock)
        if back and out.ended and back.ended and not out.data and not back.data:
            return self.drop(sock)
        for one in filter(None, (out, back)):
            if one.sink is not None:
                self.interest(one.source)
                self.interest(one.sink)

    def push(self, way):
        if way.data:
            try:
                del way.data[:way.sink.send(way.data)]
            except BlockingIOError:
                return
        if way.ended and not way.data and not way.told:
            way.told = True
            way.sink.shutdown(socket.SHUT_WR)

    def interest(self, sock):
        out, back = self.ways[sock]
        events = 0
        if not out.ended and len(out.data) < BACKLOG_MAX:
            events |= selectors.EVENT_READ
        if back and back.data:
            events |= selectors.EVENT_WRITE
        # Without either it is left out; the other side brings it back.
        known = sock in self.selector.get_map()
        if events and known:
            self.selector.modify(sock, events)
        elif events:
            self.selector.register(sock, events)
        elif known:
            self.selector.unregister(sock)
