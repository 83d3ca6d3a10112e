// Goes on when the frames have been loaded, at the latest after some seconds; without scripts the browser refreshes by itself.
const link = document.getElementById('leave')
const leave = () => location.replace(link.href)
addEventListener('load', leave, { once: true })
setTimeout(leave, 4000)
