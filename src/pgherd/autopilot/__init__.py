"""What goes on after a command has ended: it measures, decides, and asks for what is to be done.

Three processes: the controller, which decides and has no more rights than the data plane; the
helper, which starts it, checks each of its requests against what was applied, and carries it out;
and a keeper, which watches over the helper.
"""
