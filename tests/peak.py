"""The most memory that a process of its own has held, as an expression for its code.

Under Linux the `ru_maxrss` of a process that this one starts begins with what this one holds: a
run of many tests has more than the limits that it tests.
"""

PEAK_BYTES = 'int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) * 1024'
