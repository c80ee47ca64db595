"""What a run says at its start."""

import pytest

from kid.training.reporting import describe_end


@pytest.mark.parametrize(
    ("max_steps", "said"),
    [
        (500, "--epochs 3 ends the run after 240 steps, before --max-steps 500"),
        (240, "--max-steps 240 ends the run; --epochs 3 would be 240 steps"),
        (10, "--max-steps 10 ends the run; --epochs 3 would be 240 steps"),
    ],
)
def test_which_of_steps_and_epochs_ends_the_run(max_steps, said):
    assert describe_end(max_steps, 3, 240) == said
