import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxbias.training import full_batch

START = np.float32([1.0, -2.0, 0.5])
CURVATURE = np.float32([1.0, 0.5, 2.0])


def bowl(x):
    return jnp.sum(CURVATURE * x**2) / 2


def test_gradient_descent_on_a_bowl_is_its_closed_form():
    marks = (0, 1, 3, 10)
    params, seen = jax.jit(
        lambda x: full_batch.fit(
            bowl, x, optax.sgd(0.1), marks=marks, observe=lambda p: {"x": p}
        )
    )(START)
    expected = START[None] * (1 - 0.1 * CURVATURE[None]) ** np.array(marks)[:, None]
    np.testing.assert_allclose(seen["x"], expected, rtol=1e-5)
    np.testing.assert_array_equal(params, seen["x"][-1])


def test_looking_on_changes_nothing():
    def last(marks):
        return full_batch.fit(
            bowl, START, optax.adam(0.1), marks=marks, observe=lambda p: p
        )[0]

    np.testing.assert_array_equal(last((7,)), last((0, 2, 3, 7)))


@pytest.mark.parametrize("marks", [(), (3, 2), (1, 1), (-1, 2)])
def test_marks_that_do_not_rise_are_refused(marks):
    with pytest.raises(ValueError, match="marks must"):
        full_batch.fit(bowl, START, optax.sgd(0.1), marks=marks, observe=bowl)
