// What the page adds to inferno's script: a head that stays in sight, and the whole of the subtitle.
window.addEventListener("load", function() {
    var head = document.getElementById("head");
    var subtitle = document.getElementById("subtitle");
    var line = document.getElementById("details").firstChild;
    var hint = line.nodeValue;
    var stick = function() { head.setAttribute("transform", "translate(0," + window.scrollY + ")"); };
    window.addEventListener("scroll", stick);
    window.addEventListener("mouseout", function() { line.nodeValue = hint; });
    subtitle.addEventListener("mouseover", function() {
        line.nodeValue = subtitle.querySelector("title").textContent;
    });
    // The outermost frames are where the reading begins.
    if (!inverted) window.scrollTo(0, document.documentElement.height.baseVal.value);
    stick();
});
