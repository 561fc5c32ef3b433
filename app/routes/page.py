"""The web page at `/`: its files, as they lie in `app/web`."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.errors import NotFound

FOLDER = Path(__file__).parents[1] / "web"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Only what comes from here runs, and no text becomes HTML (trusted types). Pictures are shown from
# the browser's own memory (blob:).
POLICY = "; ".join(
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
    """One file. Its tag is of its bytes, so that a new version is seen at the next look."""

    data: bytes
    media_type: str
    tag: str

    @classmethod
    def of(cls, path: Path) -> "Asset":
        data = path.read_bytes()
        return cls(data, TYPES[path.suffix], f'"{hashlib.sha256(data).hexdigest()[:32]}"')

    def response(self, request: Request) -> Response:
        """The file, or 304 where the browser has it."""
        headers = {"etag": self.tag, "cache-control": "no-cache"}
        known = request.headers.get("if-none-match", "")
        if self.tag in (one.strip().removeprefix("W/") for one in known.split(",")):
            return Response(status_code=304, headers=headers)
        headers["content-security-policy"] = POLICY
        return Response(self.data, media_type=self.media_type, headers=headers)


# All of them, once: a name that is not here is nowhere, whatever it is made of.
ASSETS = {path.name: Asset.of(path) for path in sorted(FOLDER.iterdir()) if path.suffix in TYPES}


@router.api_route("/", methods=["GET", "HEAD"])
async def page(request: Request) -> Response:
    return ASSETS["index.html"].response(request)


@router.api_route("/web/{name}", methods=["GET", "HEAD"])
async def asset(request: Request, name: str) -> Response:
    """Raises NotFound where there is no such file."""
    if name not in ASSETS:
        raise NotFound(f"There is nothing at {request.url.path}. The page is at /.")
    return ASSETS[name].response(request)
