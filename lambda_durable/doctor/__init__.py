"""The doctor: what of a deployed app is stuck and why, and its repair.

It brings nothing on by itself. A repair is a message like those of the reconciler or a redelivery, or one of the
runtime's own conditional writes; so it may come at any time, twice, and beside whatever is at work.
"""
