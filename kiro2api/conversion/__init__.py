"""Pictures and documents in a form that the upstream takes: converted in processes of their own.

What is converted comes from strangers, and what unpacks it is written in C: it may take all time and memory there is,
or die. A process for each attachment can be killed without a trace, gives all memory back, has no secret to lose, and
cannot mistake one client's picture for another's, as one that is used again could.
"""
