"""What the gateway costs, next to what others cost: the parts of `scripts/bench`.

A **figure** is measured on several **targets**: a relay that only moves bytes, this gateway, and
what most people would write instead. Each target is a process, so is the provider (the simulator),
and so is the **load**, which asks, reads and takes the figures down. The targets take turns within
a round (A B C A B C), and a ratio is taken within its round, so that it holds on a noisy machine.
"""
