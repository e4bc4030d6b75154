"""HTTP/1.1 straight to a server: the transport below httpx for every address that no proxy stands before.

httpx's own transport hands an answer over chunk by chunk, and looks at all of its connections for each request: per
event of an answer that is most of what a proxy in Python costs. Here all that one read of the socket brings is one
piece, and a connection is found without a search. httpx stays the interface, and the transport through proxies.
"""

from kiro2api.upstream.direct.transport import PIECES, DirectTransport

__all__ = ["PIECES", "DirectTransport"]
