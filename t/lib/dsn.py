"""dsn.py - read reports as strangers do: Python's email package, flufl.bounce.

Prints one JSON object for each file named: what is wrong with its structure,
its fields by recipient, and the addresses that flufl.bounce finds.
"""
import email
import email.policy
import email.utils
import json
import re
import sys

from flufl.bounce import all_failures


def check_lines(raw, wrong):
    """RFC 5322 2.1.1, 2.3: CRLF, and lines of a length."""
    if re.search(rb'(?<!\r)\n|\r(?!\n)', raw):
        wrong.append('a bare CR or LF')
    longest = max(len(line) for line in raw.split(b'\r\n'))
    if longest > 998:
        wrong.append('a line of %d bytes' % longest)


def check_defects(message, wrong):
    """Whatever the parser did not like, in any part but the returned mail."""
    parts = [message] + (message.get_payload() if message.is_multipart()
                         else [])
    for part in parts:
        for defect in part.defects:
            wrong.append('%s: %r' % (part.get_content_type(), defect))
        for name, value in part.items():
            for defect in getattr(value, 'defects', []):
                wrong.append('%s: %r' % (name, defect))


def check_date(block, name, wrong):
    if block.get(name) is None:
        return
    try:
        email.utils.parsedate_to_datetime(str(block[name]))
    except (TypeError, ValueError) as why:
        wrong.append('%s: %s' % (name, why))


def flat(block):
    """Fields as text, unfolded."""
    return {name.lower(): re.sub(r'\r?\n\s+', ' ', str(value)).strip()
            for name, value in block.items()}


def check_recipient(block, wrong):
    """RFC 3464 2.3: what each recipient's block must have."""
    for name in 'Final-Recipient', 'Action', 'Status':
        if len(block.get_all(name, [])) != 1:
            wrong.append('not one %s' % name)
            return
    if not re.fullmatch(r'(?:rfc822|utf-8) *; *\S.*',
                        flat(block)['final-recipient']):
        wrong.append('Final-Recipient: %s' % block['Final-Recipient'])
    status, action = str(block['Status']), str(block['Action'])
    classes = {'failed': '45', 'delayed': '4', 'delivered': '2',
               'relayed': '2', 'expanded': '2'}
    if (not re.fullmatch(r'[245]\.\d{1,3}\.\d{1,3}', status) or
            status[0] not in classes.get(action, '')):
        wrong.append('%s with %s' % (action, status))
    for name in 'Last-Attempt-Date', 'Will-Retry-Until':
        check_date(block, name, wrong)
    for name in 'Original-Recipient', 'Remote-MTA', 'Diagnostic-Code':
        value = flat(block).get(name.lower())
        if value is not None and not re.match(r'[A-Za-z0-9-]+ *; *\S', value):
            wrong.append('%s: %s' % (name, value))


def check_structure(message, wrong):
    """RFC 6522 3, RFC 3464 2.1; the blocks of fields."""
    if message.get_content_type() != 'multipart/report':
        wrong.append('it is %s' % message.get_content_type())
        return []
    if message.get_param('report-type') != 'delivery-status':
        wrong.append('report-type=%s' % message.get_param('report-type'))
    parts = message.get_payload()
    types = [part.get_content_type() for part in parts]
    if (len(parts) != 3 or types[0] != 'text/plain' or
            types[1] != 'message/delivery-status' or
            types[2] not in ('message/rfc822', 'text/rfc822-headers')):
        wrong.append('its parts are %s' % types)
        return []
    blocks = parts[1].get_payload()
    blocks = [block for block in blocks if len(block.keys()) > 0]
    if 'Reporting-MTA' not in blocks[0]:
        wrong.append('no Reporting-MTA')
    check_date(blocks[0], 'Arrival-Date', wrong)
    if len(blocks) < 2:
        wrong.append('no recipients')
    for block in blocks[1:]:
        check_recipient(block, wrong)
    return blocks


def letter(message):
    """The text for people, decoded."""
    part = message.get_payload()[0]
    return part.get_payload(decode=True).decode(
        part.get_content_charset('us-ascii'))


def read(path):
    raw = open(path, 'rb').read()
    wrong = []
    check_lines(raw, wrong)
    message = email.message_from_bytes(raw, policy=email.policy.default)
    check_defects(message, wrong)
    blocks = check_structure(message, wrong)
    if not blocks:
        return {'wrong': wrong}
    for name in 'From', 'To', 'Date', 'Subject', 'Message-ID':
        if len(message.get_all(name, [])) != 1:
            wrong.append('not one %s' % name)
    if not str(message['Auto-Submitted']).startswith('auto-'):
        wrong.append('Auto-Submitted: %s' % message['Auto-Submitted'])
    returned = message.get_payload()[2]
    if returned.get_content_type() == 'message/rfc822':
        original = returned.get_payload()[0]
    else:
        original = email.message_from_bytes(returned.get_payload(
            decode=True), policy=email.policy.default)
    temporary, permanent = all_failures(
        email.message_from_bytes(raw))
    return {
        'wrong': wrong,
        'message': flat(blocks[0]),
        'recipients': [flat(block) for block in blocks[1:]],
        'letter': letter(message),
        'returned': returned.get_content_type(),
        'subject': str(original['Subject']),
        'body': original.get_payload() if not original.is_multipart()
                else None,
        'permanent': sorted(x.decode() for x in permanent),
        'temporary': sorted(x.decode() for x in temporary),
    }


for path in sys.argv[1:]:
    print(json.dumps(read(path)))
