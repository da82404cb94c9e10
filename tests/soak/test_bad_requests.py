"""Ten thousand wrong requests to one server."""

from hypothesis import HealthCheck, given, settings

from tests.serving.asking import Client
from tests.serving.bad_requests import REQUESTS, check_answer
from tests.serving.test_bad_requests import client as client
from tests.serving.test_bad_requests import test_it_still_answers_right as test_it_still_answers_right


@settings(max_examples=10_000, suppress_health_check=list(HealthCheck))
@given(REQUESTS)
def test_ten_thousand(client: Client, request_of: tuple[str, bytes]) -> None:
    check_answer(client, *request_of)
