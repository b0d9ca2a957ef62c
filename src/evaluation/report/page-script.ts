/**
 * @file The report's script: sorting and filtering of the per-edit table. Without it the table is whole and readable.
 */

/** JavaScript of the page; sets `data-ready` on the root element when it has run. */
export const pageScript = `'use strict';
const table = document.getElementById('edits');
if (table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const filter = document.getElementById('edit-filter');
  const status = document.getElementById('edit-status');
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const show = () => {
    const words = filter.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, index) => {
      const fits = words.every((word) => texts[index].includes(word));
      row.hidden = !fits || (status.value !== '' && row.dataset.status !== status.value);
      row.style.display = row.hidden ? 'none' : '';
      if (!row.hidden) shown++;
    });
    document.getElementById('edit-count').textContent = shown + ' of ' + rows.length + ' edits';
  };
  const compare = (one, other) => {
    if (one === '' || other === '') return (one === '') - (other === '');
    const difference = Number(one) - Number(other);
    return Number.isNaN(difference) ? one.localeCompare(other, undefined, { numeric: true }) : difference;
  };
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener('click', () => {
      const isDescending = head.getAttribute('aria-sort') === 'ascending';
      for (const cell of table.tHead.rows[0].cells) cell.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', isDescending ? 'descending' : 'ascending');
      const key = (row) => row.cells[column].dataset.sort;
      const sorted = [...rows].sort((one, other) => {
        const order = compare(key(one), key(other));
        return isDescending && key(one) !== '' && key(other) !== '' ? -order : order;
      });
      body.append(...sorted);
    });
  });
  filter.addEventListener('input', show);
  status.addEventListener('change', show);
  document.querySelector('.controls').hidden = false;
  show();
}
document.documentElement.dataset.ready = 'true';
`;
