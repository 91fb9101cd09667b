"""The recurrent update at up to three resolutions (paper, section 3.3). Attribute names are those of checkpoints.

Resolutions are called 08, 16 and 32 as in the checkpoints, finest first, whatever the real factor is.
"""

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

Map = Float[torch.Tensor, "b c h w"]
Gates = tuple[Map, Map, Map]
MOTION_CHANNELS = 128


class ConvGru(nn.Module):
    """A gated recurrent unit of 3x3 convolutions; the context is added inside each gate."""

    def __init__(self, hidden: int, inputs: int) -> None:
        super().__init__()
        self.convz = nn.Conv2d(hidden + inputs, hidden, 3, padding=1)
        self.convr = nn.Conv2d(hidden + inputs, hidden, 3, padding=1)
        self.convq = nn.Conv2d(hidden + inputs, hidden, 3, padding=1)

    def forward(self, state: Map, context: Gates, *inputs: Map) -> Map:
        x = torch.cat(inputs, dim=1)
        both = torch.cat([state, x], dim=1)
        update = torch.sigmoid(self.convz(both) + context[0])
        reset = torch.sigmoid(self.convr(both) + context[1])
        candidate = torch.tanh(self.convq(torch.cat([reset * state, x], dim=1)) + context[2])
        return (1 - update) * state + update * candidate


class MotionEncoder(nn.Module):
    """Features of the current flow and the correlations around it; the flow itself is appended."""

    def __init__(self, correlation_channels: int) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(correlation_channels, 64, 1)
        self.convc2 = nn.Conv2d(64, 64, 3, padding=1)
        self.convf1 = nn.Conv2d(2, 64, 7, padding=3)
        self.convf2 = nn.Conv2d(64, 64, 3, padding=1)
        self.conv = nn.Conv2d(128, MOTION_CHANNELS - 2, 3, padding=1)

    def forward(self, flow: Float[torch.Tensor, "b 2 h w"], correlation: Map) -> Map:
        matching = functional.relu(self.convc2(functional.relu(self.convc1(correlation))))
        motion = functional.relu(self.convf2(functional.relu(self.convf1(flow))))
        joined = functional.relu(self.conv(torch.cat([matching, motion], dim=1)))
        return torch.cat([joined, flow], dim=1)


class FlowHead(nn.Module):
    """The change of the flow from the finest state."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(hidden, 256, 3, padding=1)
        self.conv2 = nn.Conv2d(256, 2, 3, padding=1)

    def forward(self, state: Map) -> Float[torch.Tensor, "b 2 h w"]:
        change: Map = self.conv2(functional.relu(self.conv1(state)))
        return change


class UpdateBlock(nn.Module):
    """All recurrent units, the motion encoder and the two heads."""

    def __init__(self, levels: int, hidden: int, correlation_channels: int, factor: int) -> None:
        super().__init__()
        self.levels = levels
        self.encoder = MotionEncoder(correlation_channels)
        self.gru08 = ConvGru(hidden, MOTION_CHANNELS + hidden * (levels > 1))
        self.gru16 = ConvGru(hidden, hidden * (levels == 3) + hidden)
        self.gru32 = ConvGru(hidden, hidden)
        self.flow_head = FlowHead(hidden)
        self.mask = nn.Sequential(
            nn.Conv2d(hidden, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, 9 * factor * factor, 1)
        )

    def move_coarse(self, states: list[Map], contexts: list[Gates], *, coarse: bool, middle: bool) -> list[Map]:
        """The states after an update of the coarse and/or the middle unit, in this order."""
        states = list(states)
        if coarse:
            states[2] = self.gru32(states[2], contexts[2], _halved(states[1]))
        if middle:
            inputs = [_halved(states[0])]
            if self.levels > 2:
                inputs.append(_like(states[2], states[1]))
            states[1] = self.gru16(states[1], contexts[1], *inputs)
        return states

    def move_fine(self, states: list[Map], contexts: list[Gates], flow: Map, correlation: Map) -> list[Map]:
        """The states after an update of the finest unit."""
        inputs = [self.encoder(flow, correlation)]
        if self.levels > 1:
            inputs.append(_like(states[1], states[0]))
        return [self.gru08(states[0], contexts[0], *inputs), *states[1:]]

    def upsampling_logits(self, state: Map) -> Map:
        """Weights of the convex upsampling; a quarter of the output, which balances the gradients."""
        logits: Map = 0.25 * self.mask(state)
        return logits


def _halved(x: Map) -> Map:
    return functional.avg_pool2d(x, 3, stride=2, padding=1)


def _like(x: Map, target: Map) -> Map:
    return functional.interpolate(x, target.shape[2:], mode="bilinear", align_corners=True)
