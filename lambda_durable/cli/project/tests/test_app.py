from app import Order, app, fulfil

from lambda_durable.testing import crash_everywhere

ORDER = Order(number="1042", email="ada@example.com", amount=4900)


def test_an_order_is_charged_and_asked_about_three_days_later(durable):
    run = durable(app).run(fulfil, ORDER)

    assert run.status == "completed", run.error
    assert run.output.payment.startswith("payment-")
    assert (run.ended_at - run.created_at).days == 3


def test_what_cannot_be_charged_is_not_tried_again(durable):
    run = durable(app).run(fulfil, ORDER.model_copy(update={"amount": 0}))

    assert run.status == "failed"
    assert run.steps["charge"].attempts == 1
    assert "confirm" not in run.steps


def test_an_order_survives_a_crash_anywhere():
    for crash in crash_everywhere(app, fulfil, ORDER):
        assert crash.run.status == "completed", crash.point
