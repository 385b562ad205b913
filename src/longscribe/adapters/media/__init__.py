"""Untrusted media in, samples out.

The parent's side, then the children's::

av_media    the `Media` port: what the stages call
pipeline    starts the children, hands bytes and packets on, gives stretches out in order
processes   one child: its limits, its pipes, its end
ranges      what becomes of a range: samples, or what is missing
read_ahead  the recording's bytes, fetched before they are asked for
wire        what parent and children say to each other
─────────── in the children, which can open nothing
child       the program: confines itself, then demuxes or decodes
landlock    what a process may give up for good
source      opens the container, finds the audio
demuxing    takes the file apart, packet by packet
raw_frames  finds MP3 and ADTS frames by their headers, for those carry no timestamps
containers  the evidence that a file was cut off
timeline    where each packet lies in time
decoding    one range of packets into 16 kHz mono
"""
