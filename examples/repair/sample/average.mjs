/** @param {number[]} numbers */
export function average(numbers) {
  const sum = numbers.reduce((total, number) => total + number, 0);
  return sum / (numbers.length - 1);
}
