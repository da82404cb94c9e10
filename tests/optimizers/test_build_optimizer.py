"""``build_optimizer``: optimizers by name, and the mapping of fields to arguments."""

import pytest

import tfdl
from tfdl.config import AdamConfig, SGDConfig
from tfdl.errors import UserError
from tfdl.optimizers import SGD, Adam


def test_the_default_is_adam():
    optimizer = tfdl.build_optimizer()
    assert type(optimizer) is Adam
    assert optimizer.get_config() == Adam(name="adam").get_config()


@pytest.mark.parametrize(("name", "variable"), [("adam", "adam"), ("adamw", "adamw"), ("sgd", "SGD")])
def test_checkpoints_name_the_same_variables_however_many_optimizers_there_are(name, variable):
    paths = [[slot.path for slot in tfdl.build_optimizer(name).variables] for _ in range(2)]
    assert paths == [[f"{variable}/iteration", f"{variable}/learning_rate"]] * 2


def test_adam_s_fields():
    optimizer = tfdl.build_optimizer("adam", learning_rate=0.5, beta_1=0.1, beta_2=0.2, epsilon=0.3, clip_norm=4)
    assert float(optimizer.learning_rate) == 0.5
    assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon, optimizer.global_clipnorm) == (0.1, 0.2, 0.3, 4)


def test_sgd_s_fields():
    optimizer = tfdl.build_optimizer("sgd", learning_rate=0.5, momentum=0.25, nesterov=True, clip_norm=4)
    assert type(optimizer) is SGD
    assert float(optimizer.learning_rate) == 0.5
    assert (optimizer.momentum, optimizer.nesterov, optimizer.global_clipnorm) == (0.25, True, 4)


@pytest.mark.parametrize(("config", "kind"), [(AdamConfig(beta_1=0.5), Adam), (SGDConfig(), SGD)])
def test_a_configuration_is_taken_too(config, kind):
    assert type(tfdl.build_optimizer(config)) is kind


def test_an_unknown_optimizer():
    with pytest.raises(
        UserError, match=r"unknown optimizer 'sdg', expected one of adam, adamw, sgd\. Did you mean 'sgd'\?"
    ):
        tfdl.build_optimizer("sdg")


def test_an_unknown_field():
    with pytest.raises(UserError, match=r"unknown key 'optimizer\.momentun', .*Did you mean 'momentum'\?"):
        tfdl.build_optimizer("sgd", momentun=0.5)


def test_a_field_of_another_optimizer():
    with pytest.raises(UserError, match=r"unknown key 'optimizer\.momentum', expected one of learning_rate, "):
        tfdl.build_optimizer("adam", momentum=0.5)


def test_a_value_out_of_range():
    with pytest.raises(UserError, match=r"optimizer\.learning_rate=-1\.0, expected a positive number"):
        tfdl.build_optimizer("sgd", learning_rate=-1)
