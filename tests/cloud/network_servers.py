"""Servers on loopback that stand on the way to a cloud: proxies of each kind, and one with a private CA."""

import asyncio
import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.loopback import Reader, Serve, Writer


async def piped(reader: Reader, writer: Writer, port: int) -> None:
    """Carry bytes both ways between a connection and a port of this machine."""
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)

    async def carry(source: Reader, target: Writer) -> None:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        target.close()

    try:
        await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))
    finally:
        far_writer.close()


def connect_proxy(asked: list[str], port: int, refusal: bytes = b"") -> Serve:
    """Return an HTTP proxy that notes what it is asked for and leads every CONNECT to one port."""

    async def serve(reader: Reader, writer: Writer) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        if refusal:
            writer.write(refusal)
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await piped(reader, writer, port)

    return serve


def socks_proxy(asked: list[str], port: int) -> Serve:
    """Return a SOCKS5 proxy without a password that leads every connection to one port."""

    async def serve(reader: Reader, writer: Writer) -> None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        _, _, _, kind = await reader.readexactly(4)
        assert kind == 3, "the name is looked up by the proxy"
        host = await reader.readexactly((await reader.readexactly(1))[0])
        number = int.from_bytes(await reader.readexactly(2))
        asked.append(f"{host.decode()}:{number}")
        writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
        await piped(reader, writer, port)

    return serve


def answering(answer: bytes, heads: list[bytes] | None = None) -> Serve:
    """Return an HTTP server that gives one answer to each request of a connection, and notes the heads."""

    async def serve(reader: Reader, writer: Writer) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            if heads is not None:
                heads.append(head)
            length = next(
                (
                    int(line[15:])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                ),
                0,
            )
            await reader.readexactly(length)
            writer.write(answer)
            await writer.drain()

    return serve


def http(status: str, *headers: str, body: bytes = b"{}") -> bytes:
    """Return an HTTP response."""
    fields = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {status}\r\n{fields}content-length: {len(body)}\r\n\r\n".encode() + body


def certificate(folder: Path, *names: str, days: int = 1) -> tuple[Path, ssl.SSLContext]:
    """Make a CA and a server's certificate by it; return the CA's file and the server's context."""
    now = datetime.datetime.now(datetime.UTC)
    until = now + datetime.timedelta(days=days)
    since = min(now, until) - datetime.timedelta(days=2)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A test's own CA")])
    authority = (
        _signed_by(ca_name, ca_name, ca_key.public_key(), since, now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    server = (
        _signed_by(ca_name, subject, key.public_key(), since, until)
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    file, pair = folder / "ca.pem", folder / "server.pem"
    file.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    pair.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + server.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    return file, context


def _signed_by(
    issuer: x509.Name,
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    since: datetime.datetime,
    until: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
    )


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
