"""Multiply in the codec decoder, with plain weights or weights packed for oneDNN.

It knows no memory and no stack.

- Everything maps rows [batch, time, channels]. A pointwise convolution is then a linear layer,
  upsampling is a reshape, and a convolution over time reads whole rows.
- `pack` replaces each product of a loaded network by one with weights in the order in which the
  processor reads them. The results are the same.
- A plain convolution reorders its weights in every call. For the few rows of a streamed chunk that
  costs more than the convolution itself.
"""

import platform

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.models.qwen3_tts.checkpoint.weights import TensorFile

# Weights are packed for inputs of this many rows, and work with any number. oneDNN's choice for few
# rows, or without a number, makes some of the released convolutions up to thirty times slower on
# more rows. This one is good for all.
TYPICAL_ROWS = 1024


class Conv(nn.Module):
    """A stride-1 convolution over time without padding.

    [B, T + (kernel - 1) × dilation, into] → [B, T, out].
    """

    def __init__(
        self,
        into: int,
        out: int,
        kernel: int,
        *,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out, into // groups, kernel))
        self.bias = nn.Parameter(torch.empty(out)) if bias else None
        self.dilation = dilation
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        return F.conv1d(
            x.transpose(1, 2), self.weight, self.bias, 1, 0, self.dilation, self.groups
        ).transpose(1, 2)


class TransposedConv(nn.Module):
    """A transposed convolution, computed as an ordinary one.

    [B, T + kernel / stride - 1, into] → [B, T × stride, out]. The kernel is a whole number of
    strides. Each output row sums the contributions of its kernel / stride inputs, so no output
    depends on a later input.
    """

    # [stride × out, into, kernel / stride]: of a convolution that makes `stride` rows in one
    weight: Tensor
    bias: Tensor

    def __init__(self, into: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        assert kernel % stride == 0, f"a kernel of {kernel} for stride {stride}"
        self.stored = (into, out, kernel)
        self.stride = stride
        self.register_buffer(
            "weight", torch.empty(stride * out, into, kernel // stride), persistent=False
        )
        self.register_buffer("bias", torch.empty(stride * out), persistent=False)

    def load(self, file: TensorFile, prefix: str) -> None:
        """Fill the weights from those of the transposed convolution under `prefix`."""
        into, out, _ = self.stored
        taps = file.read(f"{prefix}weight", self.stored).view(into, out, -1, self.stride)
        # The newest input meets the first tap of a transposed kernel, and the last tap of an
        # ordinary one.
        self.weight = taps.flip(2).permute(3, 1, 0, 2).reshape(self.weight.shape).contiguous()
        self.bias = file.read(f"{prefix}bias", (out,)).repeat(self.stride)

    def forward(self, x: Tensor) -> Tensor:
        return _unfold(
            F.conv1d(x.transpose(1, 2), self.weight, self.bias).transpose(1, 2), self.stride
        )


class PackedConv(nn.Module):
    """`Conv` or `TransposedConv` with packed weights.

    One row of the product holds `rows` rows of the output.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, dilation: int = 1, groups: int = 1, rows: int = 1
    ) -> None:
        super().__init__()
        _, into, kernel = weight.shape
        self.bias = bias
        self.dilation = dilation
        self.groups = groups
        self.rows = rows
        size = [1, into * groups, 1, TYPICAL_ROWS + (kernel - 1) * dilation]
        # Time is the width of a flat image.
        image = weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(
            image, [0, 0], [1, 1], [1, dilation], groups, size
        )

    def forward(self, x: Tensor) -> Tensor:
        image = x.transpose(1, 2).unsqueeze(2)  # [B, into, 1, T], channels last, not moved
        y: Tensor = torch.ops.mkldnn._convolution_pointwise(
            image,
            self.weight,
            self.bias,
            [0, 0],
            [1, 1],
            [1, self.dilation],
            self.groups,
            "none",
            [],
            "",
        )
        return _unfold(y.squeeze(2).transpose(1, 2), self.rows)


class PackedLinear(nn.Module):
    """`nn.Linear`, or a convolution with a kernel of one, with packed weights.

    `rows` is as in `PackedConv`.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, rows: int = 1) -> None:
        super().__init__()
        self.bias = bias
        self.rows = rows
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), TYPICAL_ROWS)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return _unfold(y, self.rows)


def _unfold(x: Tensor, rows: int) -> Tensor:
    """Reshape [B, T, rows × channels] → [B, T × rows, channels]."""
    return x.reshape(x.shape[0], x.shape[1] * rows, -1)


def can_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """True if `pack` works on `device` in `dtype`: oneDNN on x86-64 in single precision."""
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # torch's
    return device.type == "cpu" and dtype is torch.float32 and x86 and bool(onednn)


@torch.no_grad()
def pack(network: nn.Module) -> None:
    """Replace the products in `network` by packed ones, one after the other.

    At most one of them exists twice at a time.
    """
    for name, child in network.named_children():
        product = _packed(child)
        if product is None:
            pack(child)
        else:
            setattr(network, name, product)


def _packed(product: nn.Module) -> nn.Module | None:
    """Return the packed form of `product`, or None if it is not a product."""
    match product:
        case nn.Linear():
            return PackedLinear(product.weight, product.bias)
        case Conv() if product.weight.shape[-1] == 1:
            return PackedLinear(product.weight[..., 0], product.bias)
        case Conv():
            return PackedConv(product.weight, product.bias, product.dilation, product.groups)
        case TransposedConv() if product.weight.shape[-1] == 1:
            return PackedLinear(product.weight[..., 0], product.bias, product.stride)
        case TransposedConv():
            return PackedConv(product.weight, product.bias, rows=product.stride)
        case _:
            return None
