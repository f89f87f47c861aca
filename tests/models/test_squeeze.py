import torch

from mollitune.models._squeeze import pack_checkerboard, squeeze, unpack_checkerboard, unsqueeze


def test_round_trip_is_exact() -> None:
    for channels, height, width in ((1, 2, 2), (3, 4, 6), (2, 28, 28)):
        x = torch.randn(2, channels, height, width)
        for pack, unpack in ((squeeze, unsqueeze), (pack_checkerboard, unpack_checkerboard)):
            packed = pack(x)
            assert packed.shape == (2, 4 * channels, height // 2, width // 2)
            assert torch.equal(unpack(packed), x)
            assert torch.equal(pack(unpack(packed)), packed)


def test_checkerboard_halves_are_the_two_colours() -> None:
    rows, columns = torch.arange(4)[:, None], torch.arange(6)[None, :]
    colour = ((rows + columns) % 2).float().expand(1, 3, 4, 6)
    even, odd = pack_checkerboard(colour).chunk(2, dim=1)
    assert torch.equal(even, torch.zeros_like(even))
    assert torch.equal(odd, torch.ones_like(odd))


def test_squeeze_orders_channels_by_position_then_colour() -> None:
    x = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]], [[10.0, 11.0], [12.0, 13.0]]]])
    assert squeeze(x).flatten().tolist() == [0, 10, 1, 11, 2, 12, 3, 13]
