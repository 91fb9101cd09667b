"""Settings of the viewer."""

from pydantic import Field

from gs_stereo.config import Config

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class ViewerConfig(Config):
    """Where the viewer listens, and the bounds that keep a browser and a CPU fluent."""

    host: str = Field(default="127.0.0.1", description="Address to listen on; any but loopback is open to others.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port; the next free one if it is taken, 0 = any.")
    max_render_edge_px: int = Field(default=480, ge=64, le=2048, description="Longest edge of the live pair.")
    max_gaussians: int = Field(default=500_000, ge=1, description="Gaussians sent to the browser, most visible first.")
    max_points: int = Field(default=200_000, ge=1, description="Points of a label or of the SfM cloud, at most.")
    thumbnail_edge_px: int = Field(default=160, ge=16, le=1024, description="Longest edge of the photos on cameras.")

    @property
    def is_local(self) -> bool:
        """True if only this machine can reach the viewer."""
        return self.host in LOOPBACK
