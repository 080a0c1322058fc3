"""What agents remember, on top of namespaces, versions and causes.

Where things are:

- The memories of an agent are the keys of the namespace ``memory/<agent id>``: ``episode/<16
  hexadecimal digits>``, ``fact/<key>`` and ``procedure/<name>``. That key is the memory's id, so
  names of facts and procedures cannot collide. Learning a fact again is a new version of its key.
- How often each was recalled, and when last, is kept in ``memory-accesses/<agent id>`` under the
  same keys. An agent's id is the whole rest of a namespace's name, and neither prefix begins with
  the other, so no two agents, whatever slashes are in their ids, meet in a namespace.
- A value has ``type``, ``content``, ``importance``, ``tags`` and ``metadata``; that of a fact also
  ``name``; that of a procedure ``name``, ``steps``, ``success_rate`` and ``outcomes``. The content
  is what is searched, and with an embedder what the version's vector is of: that of a fact is its
  key, a colon and what was learned, that of a procedure its name and its steps, a line each.

``arguments`` checks and makes values, ``store`` writes and reads them, ``ranking`` asks the engine
what fits a question, ``accesses`` counts; ``kinds`` and ``agent`` are the public face, ``blocking``
the same without ``await``. ``duplicates``, ``consolidation`` and ``undoing`` tidy up.
"""
