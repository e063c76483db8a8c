"""Faults put into real processes, disks and system calls: each campaign is a module of its own.

    python -m tests.faults.kills --count 500 --seed 1 [--json]

Each prints what it did and what broke (nothing is what must come out), with the seeds.
"""
