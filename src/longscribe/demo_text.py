"""What the demo says, and how long it pauses after each paragraph."""

PARAGRAPHS = (
    "Welcome to this short recording about the lighthouse on the northern point. For more than a hundred years "
    "it has guided ships past the rocks, through fog, through storms, and through long winter nights. Nobody who "
    "lives in the village can remember a time without its slow white beam.",
    "The first keeper was a carpenter who had never been to sea. He built the stairs himself, one hundred and "
    "twelve steps of oak, and he liked to say that climbing them twice a day kept him younger than any doctor "
    "could. His diary is still in the museum, next to a brass clock and a pair of heavy boots.",
    "In those days the lamp burned oil. Every evening, an hour before sunset, the keeper carried two cans up the "
    "stairs, trimmed the wick, and polished the glass. If the light went out, even for a few minutes, he had to "
    "write down the reason. Most of the reasons were birds.",
    "One page of the diary is different from the others. It describes a night in October when a fishing boat lost "
    "its rudder near the island. The keeper could see the lantern on her mast rise and fall, and he rang the bell "
    "until his hands were sore. At dawn the boat drifted into the bay with all five men alive.",
    "Electric light came to the point much later. Engineers from the city put up a line of wooden poles, and for "
    "a whole summer the children followed them along the road. When the new lamp was switched on for the first "
    "time, the people stood in the square and watched it turn. Some of them clapped, and some of them were sad.",
    "Today the lighthouse looks after itself. A small computer starts the lamp, measures the wind, and sends a "
    "message to the harbor office every ten minutes. A technician visits once a month. She brings a sandwich, "
    "checks the batteries, cleans the windows, and then sits outside for a while to look at the water.",
    "People often ask whether ships still need it. They carry satellite receivers, radar, and charts that draw "
    "themselves. The answer of the harbor master is always the same. Instruments can fail, he says, but a light "
    "on the horizon is a thing that every sailor understands, in any language, at any hour of the night.",
    "If you would like to visit, take the path along the cliff and wear good shoes. The tower is open on the "
    "first Sunday of each month between ten and four. Count the steps as you climb. If you reach a number other "
    "than one hundred and twelve, please go back down and start again.",
    "Thank you for listening. The next recording tells the story of the bridge, the river, and the three brothers "
    "who could not agree on anything except the price of stone.",
)

PAUSES = (1.5, 3.0, 0.8, 6.0, 2.0, 10.0, 1.0, 4.0, 2.5)
"""Seconds of silence after each paragraph."""
