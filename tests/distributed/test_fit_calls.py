"""What a rank's call of ``fit`` is described as, before the ranks compare their calls."""

import keras
import numpy as np
import pytest

from tfdl.distributed import BroadcastState, SyncCheck
from tfdl.distributed.fit_calls import describe_fit
from tfdl.errors import UserError

X = np.zeros((8, 3), "float32")


def test_a_call_has_the_callbacks_of_tfdl_and_the_epochs() -> None:
    call = describe_fit(keras.Model.fit, (None, X, X), {"epochs": 3, "callbacks": [BroadcastState(), SyncCheck()]})
    assert call.callbacks == ("BroadcastState", "SyncCheck")
    assert call.epochs == (0, 3)


@pytest.mark.parametrize("kind", [BroadcastState, keras.callbacks.TerminateOnNaN])
def test_the_class_of_a_callback_is_refused(kind: type[keras.callbacks.Callback]) -> None:
    with pytest.raises(UserError, match=f"got the class {kind.__name__} as a callback, expected {kind.__name__}"):
        describe_fit(keras.Model.fit, (None, X, X), {"callbacks": [kind]})
