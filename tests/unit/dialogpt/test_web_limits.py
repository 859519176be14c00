import threading

import pytest

from dialogpt.config.decoding import GenerationConfig
from dialogpt.config.web import WebConfig
from dialogpt.web.limits import ModelGate, RateLimiter, RefusalError, client_key
from dialogpt.web.sliders import bounds, checked_choice


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_client_gets_its_messages_in_any_minute_and_no_more():
    clock = Clock()
    limiter = RateLimiter(3, clock=clock)
    admitted = []
    for second in range(200):
        clock.now = 100.0 + second
        try:
            limiter.admit("10.0.0.1")
            admitted.append(second)
        except RefusalError:
            pass
    # The slow way: in no window of 60 s more than three, and none refused that had room.
    assert admitted == [0, 1, 2, 60, 61, 62, 120, 121, 122, 180, 181, 182]


def test_a_refusal_says_how_long_to_wait_and_does_not_count():
    clock = Clock()
    limiter = RateLimiter(1, clock=clock)
    limiter.admit("a")
    clock.now += 12.5
    for _ in range(3):
        with pytest.raises(RefusalError, match=r"in 48 s"):
            limiter.admit("a")
    clock.now = 160.0
    limiter.admit("a")


def test_clients_are_counted_apart_but_an_ipv6_network_is_one():
    limiter = RateLimiter(1)
    limiter.admit("10.0.0.1")
    limiter.admit("10.0.0.2")
    limiter.admit("2001:db8:1:2::1")
    with pytest.raises(RefusalError):
        limiter.admit("2001:db8:1:2:ffff::9")
    limiter.admit("2001:db8:1:3::1")
    assert client_key("::ffff:10.0.0.1") == client_key("10.0.0.1")
    assert client_key("no address") == "no address"


def test_the_memory_of_clients_is_bounded(monkeypatch):
    monkeypatch.setattr("dialogpt.web.limits._MOST_CLIENTS", 5)
    limiter = RateLimiter(1)
    for number in range(50):
        limiter.admit(f"10.0.0.{number}")
    assert len(limiter._times) == 5
    with pytest.raises(RefusalError):
        limiter.admit("10.0.0.49")


def test_the_gate_lets_one_in_so_many_wait_and_turns_the_rest_away_at_once():
    gate = ModelGate(2)
    inside, release = threading.Semaphore(0), threading.Event()
    most, now = 0, 0

    def work() -> None:
        nonlocal most, now
        with gate.turn():
            now += 1
            most = max(most, now)
            inside.release()
            release.wait(timeout=30)
            now -= 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert inside.acquire(timeout=30)
    while gate._num_inside < 3:
        pass
    with pytest.raises(RefusalError, match="busy"), gate.turn():
        pytest.fail("a fourth was let in")
    release.set()
    for thread in threads:
        thread.join(timeout=30)
    assert most == 1
    with gate.turn():  # all have left
        pass


def test_the_gate_opens_again_after_an_error():
    gate = ModelGate(0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), gate.turn():
            1 / 0  # noqa: B018


CONFIG = WebConfig(generation=GenerationConfig(num_samples=4, max_new_tokens=20))
GOOD = {
    "num_samples": 2,
    "top_k": 0,
    "top_p": 0.9,
    "temperature": 0.7,
    "max_new_tokens": 5,
    "mmi_weight": 0.5,
    "mmi": True,
}


def test_a_choice_reaches_generation_and_leaves_the_rest_of_the_configuration():
    start = GenerationConfig(num_samples=4, max_new_tokens=20, seed=7, no_repeat_ngram=3)
    chosen = checked_choice(GOOD, bounds(CONFIG), has_mmi=True)
    assert chosen.generation(start) == GenerationConfig(
        num_samples=2,
        top_k=0,
        top_p=0.9,
        temperature=0.7,
        max_new_tokens=5,
        seed=7,
        no_repeat_ngram=3,
    )
    assert (chosen.mmi, chosen.mmi_weight) == (True, 0.5)
    assert not checked_choice(GOOD, bounds(CONFIG), has_mmi=False).mmi


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_samples", 17),
        ("num_samples", 0),
        ("num_samples", 10**400),
        ("top_k", -1),
        ("top_p", 0.0),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("max_new_tokens", 21),
        ("max_new_tokens", "5"),
        ("mmi_weight", None),
        ("mmi_weight", [0.5]),
        ("top_k", True),
    ],
)
def test_what_no_slider_can_send_is_refused_with_the_bounds(name, value):
    limits = bounds(CONFIG)
    with pytest.raises(RefusalError, match=f"{limits[name].low:g} and {limits[name].high:g}"):
        checked_choice({**GOOD, name: value}, limits, has_mmi=True)


def test_a_configuration_beyond_the_bounds_moves_them():
    generation = GenerationConfig(num_samples=40, top_k=500, temperature=3.0)
    limits = bounds(WebConfig(generation=generation))
    assert [limits[name].high for name in ("num_samples", "top_k", "temperature")] == [40, 500, 3.0]
    assert all(bound.low <= bound.start <= bound.high for bound in limits.values())


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
    ],
)
def test_only_loopback_addresses_count_as_loopback(host, is_loopback):
    assert WebConfig(host=host).is_loopback == is_loopback


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 65536},
        {"max_waiting": 25},
        {"trusted_proxy": "proxy.example"},
        {"host": ""},
        {"max_message_chars": 0},
        {"messages_per_minute": 0},
        {"max_turns": 1},
    ],
)
def test_a_wrong_limit_is_an_error_that_names_it(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        WebConfig(**wrong)
