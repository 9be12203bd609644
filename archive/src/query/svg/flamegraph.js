'use strict';
(function () {
  var frames = document.getElementById('frames');
  if (!frames) return;
  var byId = function (id) { return document.getElementById(id); };
  var details = byId('details'), matched = byId('matched'), searchButton = byId('search'), reset = byId('unzoom');
  var isInverted = frames.classList.contains('inverted');
  var all = Number(frames.getAttribute('total_samples'));
  var items = Array.prototype.map.call(frames.children, function (g) {
    var title = g.querySelector('title').textContent, rect = g.querySelector('rect');
    return {
      g: g, rect: rect, text: g.querySelector('text'), title: title,
      name: title.replace(/ \([^(]*\)$/, ''),
      x: Number(rect.getAttribute('fg:x')), w: Number(rect.getAttribute('fg:w')), y: Number(rect.getAttribute('y'))
    };
  });
  var byGroup = new Map(items.map(function (item) { return [item.g, item]; }));
  var slack = all * 1e-9;
  var view = null, term = '', ignoreCase = false, current = items[0];

  // Width of a character, which is the same for all of a monospace font.
  var letter = (function () {
    var text = items[0].text, before = text.textContent;
    text.textContent = 'WWWWWWWWWW';
    var width = text.getComputedTextLength() / 10;
    text.textContent = before;
    return width || 7.2;
  })();

  function isDeeper(item, than) { return isInverted ? item.y > than.y : item.y < than.y; }

  function draw() {
    // The same margin on both sides, whatever the width of the window.
    var width = Math.max((frames.ownerSVGElement.getBoundingClientRect().width || 1200) - 20, 100);
    frames.setAttribute('width', String(width));
    var from = view ? view.x : 0, span = view ? view.w : all;
    items.forEach(function (item) {
      var isParent = view !== null && isDeeper(view, item);
      var isVisible = view === null || (isParent
        ? item.x <= view.x + slack && item.x + item.w >= view.x + view.w - slack
        : item.x >= view.x - slack && item.x + item.w <= view.x + view.w + slack);
      item.isVisible = isVisible;
      item.g.classList.toggle('hide', !isVisible);
      item.g.classList.toggle('parent', isParent);
      if (!isVisible) return;
      var left = isParent ? 0 : 100 * (item.x - from) / span;
      var share = isParent ? 100 : 100 * item.w / span;
      item.rect.setAttribute('x', left.toFixed(4) + '%');
      item.rect.setAttribute('width', share.toFixed(4) + '%');
      item.text.setAttribute('x', (left + 300 / width).toFixed(4) + '%');
      var letters = Math.floor((share * width / 100 - 6) / letter);
      item.text.textContent = letters < 3 ? ''
        : item.name.length <= letters ? item.name : item.name.slice(0, letters - 2) + '..';
    });
    reset.classList.toggle('hide', view === null);
    search();
  }

  function search() {
    var pattern = null, message = '';
    try {
      if (term) pattern = new RegExp(term, ignoreCase ? 'i' : '');
    } catch (error) {
      message = 'Invalid pattern';
    }
    var found = [];
    items.forEach(function (item) {
      var isMatch = pattern !== null && item.isVisible && pattern.test(item.name);
      item.g.classList.toggle('match', isMatch);
      if (isMatch && !item.g.classList.contains('parent')) found.push(item);
    });
    if (pattern !== null) {
      // Overlapping frames count once.
      found.sort(function (a, b) { return a.x - b.x || b.w - a.w; });
      var end = -1, sum = 0;
      found.forEach(function (item) {
        if (item.x >= end - slack) { sum += item.w; end = item.x + item.w; }
      });
      var share = 100 * sum / (view ? view.w : all);
      message = 'Matched: ' + share.toFixed(share === 100 ? 0 : 1) + '%';
    }
    matched.textContent = message;
    searchButton.textContent = term ? 'Reset search' : 'Search';
  }

  // The state is in the fragment of the address, which is not sent to the server: x and y of the frame that is zoomed
  // in, s the pattern, i whether case is ignored. Links of flamegraph.pl have it in the query.
  function save() {
    var query = new URLSearchParams();
    if (view) { query.set('x', String(view.x)); query.set('y', String(view.y)); }
    if (term) query.set('s', term);
    if (ignoreCase) query.set('i', '1');
    var text = query.toString();
    try {
      history.replaceState(null, '', text ? '#' + text : location.href.split('#')[0]);
    } catch (error) {
      // A file on disk has no address that can change.
    }
  }

  function restore() {
    var query = new URLSearchParams(location.hash.slice(1) || location.search);
    var x = Number(query.get('x')), y = Number(query.get('y'));
    if (query.get('x') && query.get('y')) {
      view = items.find(function (item) { return item.x === x && item.y === y; }) || null;
    }
    term = query.get('s') || '';
    ignoreCase = query.get('i') === '1';
    draw();
  }

  function zoom(item) {
    view = item === root ? null : item;
    draw();
    save();
  }

  function ask() {
    if (term) term = '';
    else term = window.prompt('Regular expression to search for, such as ^ext4_', '') || '';
    search();
    save();
  }

  function show(item) { details.textContent = item ? item.title : ' '; }

  // The frame that an arrow key leads to.
  function next(key) {
    var middle = current.x + current.w / 2;
    var row = function (isWanted) {
      var best = null;
      items.forEach(function (item) {
        if (item.isVisible && isWanted(item) && (best === null || Math.abs(item.y - current.y) < Math.abs(best.y - current.y)
          || item.y === best.y && Math.abs(item.x + item.w / 2 - middle) < Math.abs(best.x + best.w / 2 - middle))) best = item;
      });
      return best;
    };
    var overlaps = function (item) { return item.x < current.x + current.w && item.x + item.w > current.x; };
    if (key === 'ArrowUp') return row(function (item) { return item.y < current.y && overlaps(item); });
    if (key === 'ArrowDown') return row(function (item) { return item.y > current.y && overlaps(item); });
    if (key === 'ArrowLeft') return row(function (item) { return item.y === current.y && item.x < current.x; });
    if (key === 'ArrowRight') return row(function (item) { return item.y === current.y && item.x > current.x; });
    return null;
  }

  function focus(item) {
    current.g.removeAttribute('tabindex');
    current = item;
    item.g.setAttribute('tabindex', '0');
    item.g.focus();
  }

  var root = items.reduce(function (best, item) { return isDeeper(best, item) ? item : best; });
  current = root;
  root.g.setAttribute('tabindex', '0');

  function itemOf(target) {
    var group = target.closest ? target.closest('#frames > g') : null;
    return group ? byGroup.get(group) : null;
  }

  function activate(target) {
    var item = itemOf(target);
    if (item) zoom(item);
    else if (target.id === 'unzoom') zoom(root);
    else if (target.id === 'search') ask();
    else return false;
    return true;
  }

  document.addEventListener('click', function (event) { activate(event.target); });
  frames.addEventListener('mouseover', function (event) { show(itemOf(event.target)); });
  frames.addEventListener('mouseout', function () { show(null); });
  frames.addEventListener('focusin', function (event) { show(itemOf(event.target)); });
  window.addEventListener('resize', draw);
  window.addEventListener('keydown', function (event) {
    var key = event.key.toLowerCase();
    if (event.key === 'F3' || event.ctrlKey && key === 'f') {
      event.preventDefault();
      ask();
    } else if (event.ctrlKey && key === 'i') {
      event.preventDefault();
      ignoreCase = !ignoreCase;
      search();
      save();
    } else if (event.key === 'Escape') {
      zoom(root);
    } else if ((event.key === 'Enter' || event.key === ' ') && activate(event.target)) {
      event.preventDefault();
    } else if (itemOf(event.target)) {
      var to = next(event.key);
      if (to) { event.preventDefault(); focus(to); }
    }
  });
  restore();
})();
