"""The leapfrog integrator of Hamiltonian dynamics, with tempering of the momentum."""

from collections.abc import Callable, Iterable

from torch import Tensor


def leapfrog(
    z: Tensor,
    p: Tensor,
    force: Callable[[Tensor], Tensor],
    step: Tensor,
    factors: Iterable[Tensor],
) -> tuple[Tensor, Tensor]:
    r"""One leapfrog step per factor :math:`a_k`, each followed by :math:`p \leftarrow a_k p`.

    .. math:: p' = p + \tfrac{\epsilon}{2} F(z), \quad z \leftarrow z + \epsilon p', \quad
              p \leftarrow a_k \left(p' + \tfrac{\epsilon}{2} F(z)\right)

    All but the factors are shears, so that the determinant of the whole map is
    :math:`\prod_k a_k^{L}` for :math:`L` dimensions, whatever the force, and with factors 1 the
    map is undone by itself with the momentum's sign turned.

    Args:
        z: positions, shape ``(N, L)``.
        p: momenta, shape ``(N, L)``.
        force: :math:`F = -\partial U / \partial z`, ``(N, L)`` to ``(N, L)``. It is called once
            more than there are steps, since the end of a step is the start of the next.
        step: :math:`\epsilon`, which may differ between rows and dimensions.
        factors: :math:`a_k` for each step.

    Returns:
        Positions and momenta after the last step.
    """
    push = force(z)
    for factor in factors:
        p = p + 0.5 * step * push
        z = z + step * p
        push = force(z)
        p = factor * (p + 0.5 * step * push)
    return z, p
