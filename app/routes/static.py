"""Serves the web page at `/` from the files in `app/web`."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.errors import NotFound

WEB_DIR = Path(__file__).parents[1] / "web"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Only scripts of this origin run, and no text becomes HTML (trusted types). Images are shown from
# the browser's memory (blob:).
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file. Its ETag is a hash of its bytes, so that browsers notice a new version."""

    data: bytes
    media_type: str
    etag: str

    @classmethod
    def load(cls, path: Path) -> "Asset":
        data = path.read_bytes()
        return cls(data, MEDIA_TYPES[path.suffix], f'"{hashlib.sha256(data).hexdigest()[:32]}"')

    def response(self, request: Request) -> Response:
        """The file, or 304 if the browser has this version."""
        headers = {"etag": self.etag, "cache-control": "no-cache"}
        known = request.headers.get("if-none-match", "")
        if self.etag in (one.strip().removeprefix("W/") for one in known.split(",")):
            return Response(status_code=304, headers=headers)
        headers["content-security-policy"] = CONTENT_SECURITY_POLICY
        return Response(self.data, media_type=self.media_type, headers=headers)


# Read once at import. Any other name is unknown, so that no path can escape the folder.
ASSETS = {
    path.name: Asset.load(path) for path in sorted(WEB_DIR.iterdir()) if path.suffix in MEDIA_TYPES
}


@router.api_route("/", methods=["GET", "HEAD"])
async def index(request: Request) -> Response:
    return ASSETS["index.html"].response(request)


@router.api_route("/web/{name}", methods=["GET", "HEAD"])
async def asset(request: Request, name: str) -> Response:
    """Raises NotFound for an unknown name."""
    if name not in ASSETS:
        raise NotFound(f"There is nothing at {request.url.path}. The page is at /.")
    return ASSETS[name].response(request)
